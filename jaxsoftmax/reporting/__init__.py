"""How every result is shown: one row type, one document structure, one text, one HTML, one JSON convention."""
