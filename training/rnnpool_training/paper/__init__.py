"""The paper's experiments that run here (Saha et al. 2020): docs/paper.md has the commands and what they gave."""
