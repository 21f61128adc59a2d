"""Read leads from the files that Oplead exports, CSV or Excel, where its API is not at hand.

`table` opens a file and refuses a damaged one, `columns` turns rows into leads as the API would show them, `source` is
the port, and `survey` does for a file what `probe` does for the API.
"""

from connectors.oplead.files.options import FileOptions
from connectors.oplead.files.source import FileSource
from connectors.oplead.files.survey import survey_file

__all__ = ["FileOptions", "FileSource", "survey_file"]
