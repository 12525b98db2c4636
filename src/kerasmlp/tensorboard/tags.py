"""The tags in TensorBoard, and what each of them means."""

from fnmatch import fnmatchcase

TAGS = {
    "*/batch": "of one batch; a run writes each hundredth, a comparison all",
    "*/running": "the mean over the examples of the epoch so far, while the weights change: of the loss"
    " each 100 steps, of all metrics at the end of the epoch",
    "*/evaluation": "with the weights at the end of the epoch; train: of the first 1,000 training"
    " images; validation: of all that are held out; test: of all, once, with the trained weights",
    "learning_rate": "at the end of the epoch",
    "gradient_norm": "the L2 norm of all gradients at the end of the epoch, of the mean loss of the"
    " first 1,000 training images",
    "weight_norm/*": "the L2 norm of each weight at the end of the epoch",
    "speed/examples_per_second": "of training steps alone, without compiling, validation and files",
    "speed/milliseconds_per_step": "the same, in milliseconds a step",
    "weights/*": "histograms of each weight at the end of the epoch",
    "gradients/*": "histograms of the gradients whose norm is `gradient_norm`",
    "images/samples": "the first training images, with their labels",
    "images/augmented": "the same, as an augmentation distorts them in the first step",
    "images/first_layer": "what each unit of the first layer looks for: its weights as an image, light"
    " above 0 and dark below",
    "images/confusion": "rows: what it is; columns: what the model said; right in blue, wrong in red",
    "images/mistakes": "the most wrong images, to whose class the model gave the least probability: what"
    " it is, what the model said, and with what probability",
    "pr/*": "precision against recall of each class (the first 100), over 201 thresholds",
    "settings": "of the run",
    "command": "that began the run, or went on with it",
    "versions": "of Python and the packages, and the machine",
    "final/*": "what HParams ranks the runs by, once, at the end",
}
"""What each tag means, which TensorBoard shows beside it: the first pattern that the tag matches."""


def about(tag: str) -> str:
    """Return what `tag` means; nothing if that is not known."""
    return next((meaning for pattern, meaning in TAGS.items() if fnmatchcase(tag, pattern)), "")
