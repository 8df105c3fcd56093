"""linenet: from a line to LeNet. `cli` is the entry; README.md in this folder explains the rest."""
