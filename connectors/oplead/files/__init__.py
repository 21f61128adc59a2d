"""Read leads from the files that Oplead exports, CSV or Excel, where its API is not at hand.

`newest` finds a file and opens it as a `table`, `columns` turns rows into leads as the API would show them, and
`checks` refuses a file that is old or a part of one. `source` is the port, with `row_index` for whose lead each row is;
`survey` does for a file what `probe` does for the API.
"""

from connectors.oplead.files.options import ExportFileOptions
from connectors.oplead.files.source import FileSource
from connectors.oplead.files.survey import survey_file

__all__ = ["ExportFileOptions", "FileSource", "survey_file"]
