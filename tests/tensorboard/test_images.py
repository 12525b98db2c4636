import numpy as np
from keras import layers
from sklearn.metrics import confusion_matrix

from helpers import compiled, events, image, run
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.data.examples import Examples
from kerasmlp.tensorboard import pictures
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.images import Images, is_shown

AT_EPOCHS = ("pictures/confusion", "pictures/mistakes", "pictures/first_layer")


def test_the_images_are_those_of_the_trained_model_and_the_validation_examples(written, digits):
    """With an average of the weights, the averages are the weights of the trained model."""
    images, labels = digits
    probabilities = written.model.predict(images / np.float32(255), verbose=0)
    shown = {key: image(steps[12]) for key, steps in written.events.items() if key[1] in AT_EPOCHS}
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1))
    assert np.array_equal(shown["validation", "pictures/confusion"], pictures.confusion(matrix))
    mistakes = pictures.mistakes(images, labels, probabilities)
    assert np.array_equal(shown["validation", "pictures/mistakes"], mistakes)
    first_layer = pictures.first_layer(written.model.get_weights()[0], (6, 6, 1))
    assert np.array_equal(shown["train", "pictures/first_layer"], first_layer)


def test_the_samples_are_training_images_with_their_labels(written, digits):
    images, labels = digits
    picture = image(written.events["train", "pictures/samples"][0])
    assert np.array_equal(picture, pictures.captioned(images[:16], list(map(str, labels[:16]))))


def test_a_thousand_epochs_have_ten_images():
    assert [epoch + 1 for epoch in range(1000) if is_shown(epoch)] == [2**n for n in range(10)]


def test_a_first_layer_that_does_not_take_pixels_is_not_written(digits, tmp_path):
    def convolutional():
        return [layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3), layers.Softmax()]

    files, stopwatch = Events(tmp_path), Stopwatch(7)
    dashboard = Images(files, Examples(*digits, are_images=True), None, stopwatch)
    run("fit", compiled(convolutional), digits, callbacks=[stopwatch, dashboard])
    files.close()
    assert {tag for _, tag in events(tmp_path)} == {"pictures/samples"}


def test_augmented_images_are_written(digits, small_model, tmp_path):
    files, stopwatch, examples = Events(tmp_path), Stopwatch(7), Examples(*digits, are_images=True)
    dashboard = Images(files, examples, None, stopwatch, augment=lambda images: 255 - images)
    run("fit", small_model(), digits, callbacks=[stopwatch, dashboard])
    files.close()
    images, labels = digits
    picture = image(events(tmp_path)["train", "pictures/augmented"][0])
    assert np.array_equal(picture, pictures.captioned(255 - images[:16], list(map(str, labels[:16]))))
