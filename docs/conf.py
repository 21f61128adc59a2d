"""How Sphinx builds the site: `make site`. The pages are plain Markdown, so another generator could take its place."""

project = "oplead-sync"
author = "the oplead-sync authors"
# The README and its neighbours are pages too, so that links to them are checked; the root is therefore the source.
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
extensions = ["myst_parser"]
myst_heading_anchors = 3
nitpicky = True
html_theme = "furo"
html_title = "oplead-sync"
html_show_copyright = False
html_show_sourcelink = False
