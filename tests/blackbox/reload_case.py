"""What tests of a reload have in common."""
import contextlib
import ctypes
import os

from support import NodeTest

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, DETACH, ANY_THREAD = 0x4206, 0x4207, 17, 0x40000000


def _trace(what, thread):
    if _libc.ptrace(what, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


@contextlib.contextmanager
def frozen(node, name):
    """The node's threads of this name stand still, the others run. From the thread that starts nodes."""
    folder = f"/proc/{node.process.pid}/task"
    held = []
    try:
        for thread in sorted(os.listdir(folder), key=int):
            with open(f"{folder}/{thread}/comm", encoding="ascii") as file:
                if file.read().strip() != name:
                    continue
            _trace(SEIZE, int(thread))
            held.append(int(thread))
            _trace(INTERRUPT, int(thread))
            os.waitpid(int(thread), ANY_THREAD)
        assert held, f"no thread is called {name}"
        yield
    finally:
        for thread in held:
            _trace(DETACH, thread)


class ReloadCase(NodeTest):
    def write(self, node, text):
        with open(node.files[-1], "w", encoding="utf-8") as file:
            file.write(text)

    def reload(self, node, text, *changed, token=None):
        """Another configuration; these keys and no others must be taken over."""
        self.write(node, text)
        answer = node.http("POST", "/admin/reload", token=token or node.operator_token(), endpoint="admin")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(sorted(one["key"] for one in answer.json()["changed"]), sorted(changed))
        self.assertEqual(answer.json()["after_restart"], [])

    def put(self, node, body, status=201):
        answer = node.http("PUT", "/v1/o", body, token=node.operator_token())
        self.assertEqual(answer.status, status, answer)
        return answer.json().get("cid")
