"""Read Oplead's own OpenAPI specification.

`documentation` finds it; all else is pure. `loading` refuses what is broken or too large, `openapi` reads it as
operations and schemas, `reading` says how leads are read, `written` how they are written, and `examples` makes up a
lead for a schema.
"""
