"""A board that is gone in the middle of an answer: real answers of a real agent, cut off at every kind of byte."""

from __future__ import annotations

import io

import numpy as np
import pytest
from agent_bundles import Session, made

from boards.agent.wire import WireError, receive, send
from boards.remote import Remote
from codesign.errors import CodesignError, ToolError, ToolRunError

SUBJECT = made()
WORDS = SUBJECT.words(2)
CALLS = {
    "hello": lambda board: board.hello(),
    "put_bundle": lambda board: board.put_bundle(SUBJECT.content),
    "load": lambda board: board.load(SUBJECT.digest),
    "run": lambda board: board.run(WORDS, SUBJECT.format.output_words),
    "measure_latency": lambda board: board.measure_latency(WORDS, 1),
    "measure_power": lambda board: board.measure_power(WORDS, 0.01),
    "reset": lambda board: board.reset(),
}
REQUESTS = (
    ({"op": "hello"}, b""),
    ({"op": "put_bundle", "sha256": SUBJECT.digest}, SUBJECT.content),
    ({"op": "load", "sha256": SUBJECT.digest}, b""),
    ({"op": "run"}, WORDS.tobytes()),
    ({"op": "measure_latency", "repeats": 1}, WORDS.tobytes()),
    ({"op": "measure_power", "seconds": 0.01}, WORDS.tobytes()),
    ({"op": "reset"}, b""),
)
PLACES = {
    "before it": lambda whole, data: 0,
    "in the mark": lambda whole, data: 2,
    "in the lengths": lambda whole, data: 11,
    "before the header": lambda whole, data: 16,
    "in the header": lambda whole, data: (16 + whole - data) // 2,
    "in the data": lambda whole, data: whole - data // 2 - 1,
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """By operation: all the bytes that the agent sent, with the length of the last answer, and of its data."""
    folder = tmp_path_factory.mktemp("answers")
    session = Session(folder / "agent")
    sent, found = b"", {}
    for header, data in REQUESTS:
        answer, back = session.server.answer(header, data)
        assert answer["ok"]
        stream = io.BytesIO()
        send(stream, answer, back)
        sent += stream.getvalue()
        # put_bundle asks hello first, and so does whoever uses the board at all
        found[header["op"]] = (sent, len(stream.getvalue()), len(back))
    session.server.close()
    return found


def board_that_says(path, content):
    """Its answers, then the end, while it goes on listening."""
    path.write_bytes(content)
    return Remote(["sh", "-c", 'cat "$0"; exec 1>&-; cat > /dev/null', str(path)], "b")


def called(board, operation):
    """Everything up to that operation."""
    for name, call in CALLS.items():
        if name != "hello" or operation == "hello":
            found = call(board)
        if name == operation:
            return found
    return None


@pytest.mark.parametrize("operation", CALLS)
def test_whole_answers_are_taken(tmp_path, answers, operation):
    with board_that_says(tmp_path / "answers", answers[operation][0]) as board:
        found = called(board, operation)
    if operation == "run":
        assert np.array_equal(SUBJECT.format.decode(found), SUBJECT.outputs(2))


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("place", PLACES)
def test_a_board_that_goes_away_in_an_answer(tmp_path, answers, operation, place):
    """An error that says so, within the limits of time, and the session is over."""
    content, whole, data = answers[operation]
    cut = content[: len(content) - whole + PLACES[place](whole, data)]
    error, said = (
        (ToolError, "^no agent answers on board b: ")
        if operation == "hello"
        else (ToolRunError, "^the connection to board b was lost: .*; try again$")
    )
    with board_that_says(tmp_path / "answers", cut) as board:
        with pytest.raises(error, match=said):
            called(board, operation)
        with pytest.raises(CodesignError, match="^the session with b is over; begin a new one$"):
            board.hello()
    assert board._child.returncode is not None
    assert (tmp_path / "answers").read_bytes() == cut


def test_every_byte_of_an_answer_with_data(answers, tmp_path):
    """Of its frame, that is: none of the shorter ones is taken for an answer."""
    content, whole, _ = answers["run"]
    for length in range(1, whole):
        with pytest.raises(WireError, match="^the stream ended within a frame"):
            receive(io.BytesIO(content[-whole:][:length]))
