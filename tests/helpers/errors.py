"""What a command says on stderr where it refuses: one message, broken at words."""


def one_error(text, kind="error"):
    """The message as one line, after a look at its form."""
    assert text.startswith(f"jaxsoftmax: {kind}:")
    assert text.count("jaxsoftmax: ") == 1
    assert all(len(line) <= 80 or " " not in line.strip() for line in text.splitlines())  # a long path stays whole
    return " ".join(text.split())
