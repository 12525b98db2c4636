import os
import pickle
import signal
import threading

import pytest

from kerasmlp.callbacks.interruption import Interrupted, Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_ctrl_c_after_it_raises(number, capfd):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert interruption.received is None
        os.kill(os.getpid(), number)
        assert interruption.received == number
        with pytest.raises(Interrupted) as caught:
            os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.status == 130
    assert signal.getsignal(number) is before
    assert capfd.readouterr().err == "stopping after this step; press Ctrl-C again to stop at once\n"


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_is_the_same_in_another_process(number, status):
    sent = Interrupted(number, "interrupted after step 3", "python -m mine")
    received = pickle.loads(pickle.dumps(sent))
    assert (received.status, str(received)) == (status, str(sent))
    assert str(sent) == "interrupted after step 3; to resume: python -m mine"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_sigterm_may_come_twice(first):
    with Interruption() as interruption:
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.received == first


def test_outside_the_main_thread_no_signal_is_handled():
    received = []

    def body():
        with Interruption() as interruption:
            received.append(interruption.received)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert received == [None]
