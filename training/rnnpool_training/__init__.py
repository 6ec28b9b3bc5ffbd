"""Training, quantization and export of RNNPool networks. Importing this package never imports torch."""
