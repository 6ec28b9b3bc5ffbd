"""What a user did that can't be done, as one sentence."""


class InputError(ValueError):
    """Something that the user named can't be used; the text is one sentence that says what and why."""
