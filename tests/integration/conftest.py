"""Fixtures for all integration tests, a bound on every test, and the logs of whatever was running
when one failed."""

import inspect
import os
import signal

import pytest

from batvtest import daemon, util
from batvtest.daemon import Batvd
from batvtest.postfix import Postfix
from batvtest.sink import Sink

TEST_SECONDS = 120


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): the test may take so long, instead of "
                            f"{TEST_SECONDS}")
    config.addinivalue_line("markers", "capabilities: it matters what root may do; set by what the "
                            "test's file uses")
    config.addinivalue_line("markers", "slow: takes long, and tells little of the release it runs on")
    # Told to end, as by timeout(1), the run tears down what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


# What does otherwise, or nothing, where root has only a container's capabilities.
OF_CAPABILITIES = {f"batvtest.{name}" for name in
                   ("capability", "dns", "log_sockets", "machine", "sendmail", "sendmail_site")}


def pytest_collection_modifyitems(items):
    for item in items:
        used = {value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
                for value in vars(item.module).values()}
        if used & OF_CAPABILITIES:
            item.add_marker(pytest.mark.capabilities)


def pytest_unconfigure(config):
    for instance in list(util.LIVE):
        instance.kill9()


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the integration tests start daemons that give up root: run them as root", 4)
    for name in ("batvd", "batvctl"):
        try:
            util.binary(name)
        except FileNotFoundError as error:
            pytest.exit(str(error), 4)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when in ("setup", "call"):
        for instance in list(util.LIVE):
            report.sections.append(("running then", instance.diagnosis()))


@pytest.fixture(autouse=True)
def bounded(request):
    """No test hangs, whatever it waits for."""
    marker = request.node.get_closest_marker("seconds")
    seconds = marker.args[0] if marker else TEST_SECONDS

    def too_long(*_):
        raise util.Timeout(f"the test took longer than {seconds} s")
    former = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(seconds * util.PATIENCE))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture(scope="session", autouse=True)
def nothing_left():
    """What the tests made in /tmp is gone at the end, and no process of theirs is left."""
    yield
    daemon.collect_ended()    # those that ended after their module's ended_well
    daemon.forget_dead_faketime()
    if os.environ.get("BATV_KEEP"):
        return
    assert not [path for path in util.FOLDERS if path.exists()]
    assert not util.LIVE


@pytest.fixture(scope="module", autouse=True)
def ended_well():
    """Daemons that a test only told to end must have ended well once the module is through."""
    yield
    daemon.collect_ended()


def _factory(make, finish):
    made = []

    def factory(*args, **options):
        instance = make(*args, **options)
        made.append(instance)
        return instance

    def finish_all():
        errors = []
        for instance in reversed(made):
            try:
                finish(instance)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
    return factory, finish_all


@pytest.fixture
def batvd():
    """batvd(config, ...) makes a Batvd that is not started yet; see batvtest.daemon."""
    factory, finish_all = _factory(Batvd, Batvd.terminate)
    yield factory
    finish_all()


@pytest.fixture
def postfix():
    """postfix(...) makes a Postfix that is not started yet; see batvtest.postfix."""
    factory, finish_all = _factory(Postfix, Postfix.stop)
    yield factory
    finish_all()


@pytest.fixture
def sink():
    """A far end."""
    with Sink() as server:
        yield server
