"""How the sandbox's page looks: light and dark, wide and narrow, without anything from elsewhere."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2530; --soft: #5d6878; --line: #dfe4ea; --paper: #f5f7f9; --card: #ffffff;
  --accent: #0b6b57; --alarm: #a63a24;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7ebf0; --soft: #9aa6b5; --line: #2c3542; --paper: #12171e; --card: #1a212b;
    --accent: #5fd0b3; --alarm: #f0907a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 92rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 1.5rem; }
header p { margin: 0; color: var(--soft); }
.refresh a { color: var(--accent); }
header p:last-child { flex-basis: 100%; }
h1 { margin: 0; font-size: 1.75rem; letter-spacing: -0.02em; }
h2 { margin: 0 0 .5rem; font-size: 1.05rem; }
h2 small { color: var(--soft); font-weight: normal; margin-left: .25rem; }
section { margin-top: 2.25rem; overflow-x: auto; }
section > p { margin: 0 0 .5rem; color: var(--soft); }
.clock time { color: var(--accent); font-weight: 600; font-variant-numeric: tabular-nums; }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem; margin: 1.5rem 0 0; }
.figures div {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem 1rem; display: flex; flex-direction: column;
}
.figures dd {
  margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap;
}
.figures dt { color: var(--soft); font-size: .85rem; }
table {
  width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; font-size: .9rem;
}
th, td { padding: .5rem .7rem; text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 500; font-size: .8rem; white-space: nowrap; }
td { border-top: 1px solid var(--line); font-variant-numeric: tabular-nums; }
td small { color: var(--soft); }
code { font: .85em ui-monospace, "Cascadia Code", Menlo, Consolas, monospace; white-space: nowrap; }
pre {
  margin: 0; padding: .8rem 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; font-size: .9rem; line-height: 1.6;
}
pre code { white-space: inherit; }
.reason { color: var(--alarm); font-weight: 600; }
@media (max-width: 44rem) {
  body { padding: 1.25rem .9rem 3rem; }
  .figures { grid-template-columns: 1fr 1fr; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr { display: block; }
  tr + tr { border-top: .4rem solid var(--paper); }
  td { display: grid; grid-template-columns: 7.5rem 1fr; gap: .75rem; padding: .4rem .9rem; }
  td > span { min-width: 0; overflow-x: auto; }
  tr td:first-child { border-top: 0; }
  td::before { content: attr(data-label); color: var(--soft); }
}
"""
