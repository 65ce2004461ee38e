"""What the benchmark's figures are to reach: one row each, read from a run."""


class Promise:
    """`value` takes a run's figures and gives a number; KeyError where the run does not have what it needs."""

    def __init__(self, what, bound, unit, value, least=False):
        self.what, self.bound, self.unit, self.value, self.least = what, bound, unit, value, least

    def measured(self, run):
        try:
            return self.value(run)
        except KeyError:
            return None

    def holds(self, measured):
        return measured >= self.bound if self.least else measured <= self.bound


def _of(name, key):
    return lambda run: run[name][key]


def _raw(what, bound, name):
    return Promise(what, bound, "raw round trips", _of(name, "ratio"))


def _times(what, bound, ours, theirs):
    """How many times as fast as another, by the time that each takes for a call in multiples of the same base."""
    return Promise(what, bound, "times", lambda run: run[theirs]["ratio"] / run[ours]["ratio"], least=True)


PROMISES = [
    _raw("Unary call by stub, both ends waiting", 1.25, "stub_unary"),
    Promise("Unary call by stub from another CPU, both ends polling for a while before they wait", 0.4,
            "raw round trips so placed",
            lambda run: run["stub_unary_adaptive"]["ratio"] / run["raw_seqpacket_apart"]["ratio"]),
    Promise("CPU time of a service that polls for calls that come slowly", 2, "times that of one that waits",
            lambda run: run["paced_just_in_time"]["cpu_us"] / run["paced_in_vain"]["cpu_us"]),
    _raw("Call by the callback stub", 2.0, "stub_callback"),
    _times("Unary call, against stock gRPC", 6, "stub_unary", "grpc_unary"),
    _times("Unary call with polling, against stock gRPC so placed", 18, "stub_unary_adaptive", "grpc_unary_apart"),
    _times("Unary call, against Cap'n Proto RPC", 1, "stub_unary", "capnp_unary"),
    _times("Unary call, against sd-bus between two peers", 1, "stub_unary", "sdbus_unary"),
    _times("Unary call, against nvlist messages", 1, "stub_unary", "nvlist_unary"),
    Promise("Limits check of ten fields", 0.5, "µs", _of("limits_check_10", "p50_us")),
    _raw("Descriptor by stub: open a small file under a path limit", 1.5, "descriptor_by_stub"),
    _raw("Unmodified open() in a supervised worker", 1.5, "transparent_openat"),
    _times("Messages of 1 MiB, against stock gRPC", 3, "message_1m", "grpc_message_1m"),
    _times("Messages of 64 MiB, against stock gRPC", 3, "message_64m", "grpc_message_64m"),
    _times("100 channels to one process, against stock gRPC", 8, "channels_100", "grpc_channels_100"),
    _times("1000 channels to one process, against stock gRPC", 8, "channels_1000", "grpc_channels_1000"),
    _times("100 channels to one process, against Cap'n Proto RPC", 5, "channels_100", "capnp_channels_100"),
    _times("1000 channels to one process, against Cap'n Proto RPC", 5, "channels_1000", "capnp_channels_1000"),
    _times("100 channels to one process, against bare epoll", 0.5, "channels_100", "raw_epoll_channels_100"),
    _times("1000 channels to one process, against bare epoll", 0.5, "channels_1000", "raw_epoll_channels_1000"),
    Promise("16 threads on one channel: p99 against p50", 10, "times",
            lambda run: run["threads_16"]["p99_us"] / run["threads_16"]["p50_us"]),
    _times("16 threads on one channel, against one thread", 1, "threads_16", "threads_1"),
    Promise("Service opened, to its first answer", 900, "µs", _of("service_open", "p50_us")),
    _times("Worker forked and confined, to its first answered call, against minijail0 starting a program", 1,
           "worker_start", "minijail_start"),
    Promise("The same from a pool of spare workers", 500, "µs", _of("worker_start_spare", "p50_us")),
    _times("Worker that executes a program, to its first answered call, against bubblewrap", 1,
           "worker_exec", "bubblewrap_exec"),
    Promise("Private memory of a service process", 100, "KiB", _of("service_memory", "kib")),
    Promise("The same once its wire was used", 600, "KiB", _of("service_memory_wire", "kib")),
    Promise("Private memory of one that is called back to back, with a second thread", 100, "KiB",
            _of("service_memory_busy", "kib")),
    Promise("Private memory of a forked worker", 100, "KiB", _of("worker_memory", "kib")),
    Promise("1000 workers with three channels each: answered on all three", 1000, "workers",
            _of("workers_1000", "answered"), least=True),
    Promise("Started in a second, of these", 400, "workers", _of("workers_1000", "per_s"), least=True),
    Promise("Memory of broker and zygote with 1000 workers", 65536, "KiB", _of("workers_1000", "kib")),
]
