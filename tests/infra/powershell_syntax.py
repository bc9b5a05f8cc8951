"""Reads PowerShell with tree-sitter, in an environment of its own. Prints what it does not understand, a line each."""

import sys
from pathlib import Path

import tree_sitter
import tree_sitter_powershell


def main(files: list[str]) -> None:
    """Parse each file, and name what is wrong in it."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    for file in files:
        waiting = [parser.parse(Path(file).read_bytes()).root_node]
        while waiting:
            node = waiting.pop()
            if node.type == "ERROR" or node.is_missing:
                sys.stdout.write(f"{file}:{node.start_point.row + 1}: {node.type}\n")
            waiting += node.children


main(sys.argv[1:])
