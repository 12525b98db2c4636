"""The handbook's program: its loop, its line for each batch, its evaluation. Takes an .npz file."""

import sys

import keras
import numpy as np
import tensorflow as tf

with np.load(sys.argv[1]) as data:
    train_x, test_x = (data[n].astype(np.float32)[..., None] / 255 for n in ("x_train", "x_test"))
    train_y, test_y = (data[n].astype(np.int32) for n in ("y_train", "y_test"))


class MLP(keras.Model):
    """784-100-10."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense1 = keras.layers.Dense(100, activation=tf.nn.relu)
        self.dense2 = keras.layers.Dense(10)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the probabilities."""
        return tf.nn.softmax(self.dense2(self.dense1(self.flatten(inputs))))


model, optimizer = MLP(), keras.optimizers.Adam(learning_rate=0.001)
for batch in range(len(train_x) // 50 * 5):
    index = np.random.randint(0, len(train_x), 50)
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(train_y[index], model(train_x[index]))
        loss = tf.reduce_mean(loss)
        print(f"batch {batch}: loss {loss.numpy():f}")
    gradients = tape.gradient(loss, model.variables)
    optimizer.apply_gradients(zip(gradients, model.variables, strict=True))

metric = keras.metrics.SparseCategoricalAccuracy()
for first in range(0, len(test_x), 50):
    metric.update_state(test_y[first : first + 50], model(test_x[first : first + 50]))
print(f"test accuracy: {float(metric.result()):f}")
