"""The plain Keras script: `fit` and `evaluate` with their defaults, 5 epochs. Takes an .npz file."""

import sys

import keras
import numpy as np

with np.load(sys.argv[1]) as data:
    train_x, test_x = (data[n].astype(np.float32)[..., None] / 255 for n in ("x_train", "x_test"))
    train_y, test_y = data["y_train"], data["y_test"]
model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(100, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train_x, train_y, batch_size=50, epochs=5)
print(f"test accuracy: {model.evaluate(test_x, test_y)[1]:f}")
