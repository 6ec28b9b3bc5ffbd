"""Talks to a board with the rnnpool module: deploy firmware and models, stream frames to it, files, REPL."""
