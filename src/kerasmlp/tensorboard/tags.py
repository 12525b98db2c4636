"""The tags in TensorBoard, and their meanings.

Metrics and losses come first in the order of their names, which is TensorBoard's order of tags.
"""

from fnmatch import fnmatchcase

TAGS = {
    "*/batch": "the value of one batch; a run writes every hundredth step, a comparison every step",
    "*/running": "the mean over the examples of the epoch so far, while the weights change; the loss"
    " every 100 steps, all metrics at the end of the epoch",
    "*/evaluation": "the value with the weights at the end of the epoch; train: the first 1,000"
    " training examples; validation: all validation examples; with `--ema-momentum`, evaluation,"
    " gradients, weights and pictures at the end of an epoch are those of the averaged weights",
    "norms/gradients": "the L2 norm of all gradients at the end of the epoch; the gradients are those of"
    " the mean loss of the first 1,000 training examples",
    "norms/weights/*": "the L2 norm of each weight array at the end of the epoch",
    "optimizer/learning_rate": "the learning rate at the end of the epoch",
    "pictures/samples": "the first training images, with their labels",
    "pictures/augmented": "the same images, distorted by the augmentation of the first step",
    "pictures/first_layer": "what each unit of the first layer looks for: its weights as an image, light"
    " above 0 and dark below",
    "pictures/confusion": "the confusion matrix (of at most 100 classes): rows are true classes, columns"
    " are predicted classes; right is blue, wrong is red",
    "pictures/mistakes": "the images that are most wrong: their class has the lowest probability; the"
    " caption is the true class, the predicted class, and its probability",
    "pr/*": "precision against recall for each class (the first 100), at 201 thresholds",
    "speed/examples_per_second": "the speed of training, without compiling, validation and files",
    "speed/milliseconds_per_step": "the milliseconds of a training step, measured in the same way",
    "trained/first_layer": "the first layer of the trained model",
    "trained/confusion": "the confusion matrix of the test images",
    "trained/mistakes": "the test images that are most wrong",
    "trained/pr/*": "precision against recall of the test images",
    "trained/*": "a metric of the trained model, or of the whole run, by which HParams ranks the runs",
    "weights/*": "histograms of each weight array at the end of the epoch",
    "weight_gradients/*": "histograms of the gradients of `norms/gradients`",
    "settings": "the settings of the run",
    "command": "the command that began or resumed the run",
    "versions": "the versions of Python and the packages, and the machine",
}
"""The meaning of each tag that a run of the MLP writes. The first pattern that matches counts."""
OTHER_TAGS = {
    "pictures/predictions": "predicted numbers upwards, true numbers to the right, on the same scale;"
    " the darker, the more examples; right predictions are on the diagonal",
    "pictures/residuals": "a histogram of predicted numbers less true numbers",
}
"""The same for the tags that only other models have."""


def about(tag: str) -> str:
    """Return the meaning of `tag`, which TensorBoard shows. It is empty if the tag is unknown."""
    known = {**OTHER_TAGS, **TAGS}.items()
    return next((meaning for pattern, meaning in known if fnmatchcase(tag, pattern)), "")
