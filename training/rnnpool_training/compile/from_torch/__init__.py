"""From any nn.Module of supported operations to the float graph: torch.export traces it, one table translates.

Operations are PyTorch's own (ATen), as torch.export finds them in evaluation mode; what is composed of others and not
in the table is decomposed first. What can't be translated is refused by the module's own path, with the operation, the
shape, and what to use instead.
"""

from .program import INSTEAD
from .translate import TABLE, Translated, trace, translate

__all__ = ["INSTEAD", "TABLE", "Translated", "trace", "translate"]
