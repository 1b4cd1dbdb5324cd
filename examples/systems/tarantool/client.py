"""A client of Tarantool: calls as lines of JSON on standard input, answers as lines of JSON on standard output."""
import json, socket, sys


class Refused(Exception):
    """It did not happen, and never will."""


class Unknown(Exception):
    """It may have happened."""


class Console:
    """The text console of one node: a line of Lua, and its answer as YAML that ends with `...`."""

    def __init__(self, address, port):
        try:
            self.stream = socket.create_connection((address, port), timeout=10).makefile("rw", newline="\n")
        except OSError as error:
            raise Refused(f"connecting: {error}") from error
        self.stream.readline(), self.stream.readline()  # who it is

    def ask(self, lua):
        lines = [""]
        try:
            self.stream.write(lua + "\n")
            self.stream.flush()
            while lines[-1] != "...\n":
                lines.append(self.stream.readline())
                if not lines[-1]:
                    raise Unknown("the connection was closed")
        except OSError as error:
            raise Unknown(str(error)) from error
        answer = "".join(lines[2:-1]).removeprefix("- ").strip()
        if answer.startswith("error: "):
            # A read-only node has done nothing. A write that found no quorum is another matter.
            raise (Refused if "read-only" in answer else Unknown)(answer)
        return json.loads(answer or "null")


def perform(console, call):
    key = json.dumps(call["key"])
    if call["f"] == "read":
        return console.ask(f"local t = box.space.registers:get({key}) return t and t[2]")
    console.ask(f"box.space.registers:replace({{{key}, {json.dumps(call['value'])}}}) return true")
    return call["value"]


console = None
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    call = json.loads(line)
    try:
        console = console or Console(sys.argv[1], int(sys.argv[2]))
        answer = {"type": "ok", "value": perform(console, call)}
    except Refused as error:
        answer = {"type": "fail", "error": str(error)}
    except Unknown as error:
        answer = {"type": "info", "error": str(error)}
    print(json.dumps({"id": call["id"], **answer}), flush=True)
