import os
import signal
import threading

import pytest

from kerasmlp.callbacks.interruption import Interrupted, Interruption


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_noted_and_the_second_raises(number, status, capfd):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert interruption.received is None
        os.kill(os.getpid(), number)
        assert interruption.received == number
        with pytest.raises(Interrupted) as caught:
            os.kill(os.getpid(), number)
    assert caught.value.status == status
    assert signal.getsignal(number) is before
    assert capfd.readouterr().err == "stopping after this step; press Ctrl-C again to stop at once\n"


def test_outside_the_main_thread_no_signal_is_handled():
    received = []

    def body():
        with Interruption() as interruption:
            received.append(interruption.received)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert received == [None]
