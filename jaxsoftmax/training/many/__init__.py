"""Many fits at once: one compiled call for problems that differ in weights, penalties or data; a path of penalties."""
