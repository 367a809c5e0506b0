"""What tests of preparing in parts share."""

from tests.data.corpora import write_corpus
from tests.data.corpora import write_files


def files_of(folder):
    """The contents of a folder's files, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_awkward_corpus(folder):
    """Writes files with all that could go wrong where text is cut."""
    write_corpus(folder, num_files=3)
    return write_files(
        folder,
        {
            "awkward/blank.txt": " \n\n \r\n",
            "awkward/byte.txt": "x",
            "awkward/empty.txt": "",
            "awkward/late.txt": "\n\n\n" + "late words\r\n" * 9,
            "awkward/mark.txt": b"\xef\xbb\xbf marked text\nends here",
            "awkward/only_mark.txt": b"\xef\xbb\xbf",
            "awkward/ideographic.txt": "漢字\u3000仮名 交じり\u2003 文\n。\n",
            "awkward/long_word.txt": "x" * 300 + " and " + "é" * 100,
            "awkward/spaces.txt": "a" + " " * 120 + "\t\n\n" + "b\x0b\x1c c",
        },
    )
