"""The text around the table in docs/zoo.md."""
# ruff: noqa: E501

from __future__ import annotations

HEAD = """# The networks of the paper

`rnnpool_training.zoo` has the networks of the RNNPool paper (Saha et al. 2020) and those that it compares them with, by name:

    from rnnpool_training import zoo
    net = zoo.build("mobilenetv2-rnnpool")          # an nn.Module, random weights, 10 classes
    net = zoo.build("mobilenetv2-rnnpool", classes=1000)

- Classifiers take pictures (N, 3, 224, 224) as torchvision's transforms and data sets give them, and give logits (N, classes). Other sizes that are
  multiples of 32 work too, except with RNNPool as the last pooling, whose window is the whole map (`side=`).
- Detectors give scores (N, anchors, 2), background and face, and box deltas (N, anchors, 4); `net.anchors.grid(height, width)` are the anchors,
  `rnnpool_training.zoo.s3fd.loss` is S3FD's loss (hard negatives three to one).
- Parameters have torchvision's names where torchvision has the network: its weights fit the layers that stayed. (torchvision itself is not needed.)
- Cells are smooth, hard in the networks for Visual Wake Words and in Quant, QVGA and M4; zeta is 1 and nu is 0, as in the paper.
- `rnnpool zoo` prints this table, `rnnpool zoo NAME ...` a part of it, `rnnpool zoo --check` computes all of it anew and compares it with
  [zoo.json](zoo.json), as the tests do. `rnnpool zoo --write` makes this page.

## How it is counted

- **Parameters**: without normalizations, and with them. The ratio is of those without.
- **Multiply-adds** of one picture: of convolutions and linear layers (*conv*); with recurrent layers whose summaries of rows and columns are shared
  between patches, as here and in the engine (*shared*); and patch by patch, as Algorithm 1 is written (*by patch*). The paper's follow none of the three
  throughout; the ratio is of *shared*.
- **RAM** by the rule that most of the paper's numbers follow: of an inverted residual its input and output, of any other layer the larger of the two;
  what is before RNNPool goes row by row and counts as RNNPool's output. Values of 4 bytes, of 1 byte for Visual Wake Words, Quant, QVGA and M4. The
  last 1x1 convolution before an average goes row by row, too. (MB are 2^20 bytes, KB 2^10.)
- **Accuracy** is the paper's, in per cent; of detectors MAP (easy, medium, hard; on SCUT-HEAD one number). Nothing here is trained.
"""

NOTES = """
## Where the paper contradicts itself, and what was chosen

- Quant has h = 8 (text: 4; the table's 32 channels need 8). A has h = 4 (16 in one place; its 16 channels need 4).
- MobileNetV2-RNNPool: the layers of table 10 have 2.19 M parameters, not 2.00 M. Face-A's of table 13 have 115 K, not 60 K.
- Visual Wake Words: 255 K parameters go with 192 channels before the average (`vww-rnnpool-192`), EdgeML's code has 320 (`vww-rnnpool`).
  RNNPool as the last pooling adds 45 K parameters with h = 80, not 4 K.
- Table 2's operators: what the paper doesn't print follows from its multiply-adds. The strided convolution has a window of RNNPool's patch (6x6, 8x8);
  ReNet has patches of 4x4 and GRUs; average and max have RNNPool's patch and a 1x1 convolution to its channels.
- Variants f and g of table 16 pool to 14x14 and also stand for the stage (6, 64, 4, 2), which their multiply-adds leave no room for.
- GoogLeNet-RNNPool: that 3a stays, on 128 channels, and 3b goes, and that the auxiliary classifiers count, is inferred from its parameters.
- MobileNetV1-RNNPool: 64 channels at 28x28 are inferred from 417 M and, with ReNet, 487 M multiply-adds.
- Face-C and Quant of the authors' code differ from tables 11 and 14 (`authors=True`): the first block of C does not expand, its heads are 5x5, 1x1 and
  3x3; scores and boxes of Quant's first head have a reduction of their own.
- EagleEye and MobileNetV2-SSDLite are built by what their own papers describe; widths that no paper prints come near the parameters of tables 4 and 5.
- M4 and QVGA: the paper's RAM is more than the rule gives; with the picture's 75 KB M4 has 187.5 KB.
- Table 5's columns of MobileNetV2-SSDLite are read as 3.51 MB of RAM and 11.32 MB of parameters of 4 bytes, 2.83 M.
- The ReNet rows count RAM as the paper does, though each of ReNet's outputs depends on the whole map.

## Hard or smooth cells

Hard cells are what devices are fastest at; smooth ones have a gradient everywhere. Neither dies with the layer's own initial weights: with inputs of a
standard deviation of up to 64 all weights of hard cells get gradients, though most of the input's are 0 there; and in DenseNet121 with four RNNPools all parameters
do (`tests/host/test_zoo.py` holds both). The smooth ones learn faster there. So: hard where the network goes to a device and RNNPool reads a normalized map
(behind batch normalization or ReLU6); smooth where several follow each other, or the map is not normalized. Both are exported.
"""

ENGINE = """
## On the device

Random weights: nothing is trained, and only sizes and bits are looked at. Each network goes through `rnnpool export`'s pipeline; the engine's results are
those of the integer reference, bit for bit, on a picture and on the golden frame, else there would be no row. `rnnpool zoo --engine` does it anew and
compares the bytes; the tests do so with the smallest. `--cycles` counts cycles of a frame on a Cortex-M4, by the model of `rnnpool bench`, which takes
minutes a network; the one that is modelled is an STM32F439 here, for the 128 KB of an F405 are not enough for face-quant and face-a beside the stack.

- The detectors are `zoo.deployed.Deployed`: softmax over background and face is the sigmoid of the difference of the two scores, which is one convolution
  with the deltas; the first head's max-out is min(a, b) = a - relu(a - b) of differences, sums that the engine has.
- The L2 normalizations before the first three heads are L2_NORM; `normalized=False` builds detectors without them. Quant as the authors' code has it
  (a checkpoint of theirs): 34 operators, 89,232 bytes, arena 125,624.
"""
