"""litmus through a share passes whatever it passes at the storage behind it."""

import pytest

from tests import servers
from tests.interop.doors import shared
from tests.interop.litmus import Verdict, litmus, parse, worse

# litmus cuts its own If header at 200 bytes, and WsgiDAV's long tokens, sealed twice, exceed that.
CUT_OFF = {"wsgidav": {"complex_cond_put", "fail_complex_cond_put"}}


@pytest.mark.parametrize("name", sorted(servers.MORE_STORAGES))
async def test_litmus_finds_no_test_worse_than_at_the_storage_itself(tmp_path, name):
    with servers.MORE_STORAGES[name](tmp_path) as storage:
        (storage.root / "alice/direct").mkdir()
        (storage.root / "alice/direct").chmod(0o777)
        url = f"{storage.url}/alice/direct"
        direct = await litmus(url, storage.username, storage.password, tmp_path)
        async with shared(tmp_path, storage) as share:
            through = await litmus(share.url, share.secret, "", tmp_path)
            through_both = await litmus(share.received, share.user, share.password, tmp_path)
    found = list(worse(direct, through))
    assert not found, "\n".join(found)
    wanted = [result for result in direct if result.name not in CUT_OFF.get(name, ())]
    found = list(worse(wanted, through_both))
    assert not found, "\n".join(found)


def test_every_manner_of_litmus_to_judge_is_understood():
    output = """-> running `locks':

 0. init..................\x20
 0. init.................. pass

 1. begin.................\x20
 1. begin................. FAIL (MKCOL on `/x': 403 Forbidden
)

18. cond_put_corrupt_token WARNING: PUT failed with 412 not 423
    ...................... pass (with 1 warning)
    ......................\x20
19. complex_cond_put...... SKIPPED

20. put................... WARNING: odd
    ...................... FAIL (odder)
<- summary for `locks': of 5 tests run
"""
    found = [(result.number, result.name, result.verdict) for result in parse("locks", output)]
    assert found == [
        (0, "init", Verdict.PASSED),
        (1, "begin", Verdict.FAILED),
        (18, "cond_put_corrupt_token", Verdict.WARNED),
        (19, "complex_cond_put", Verdict.FAILED),
        (20, "put", Verdict.FAILED),
    ]
    assert list(worse(parse("locks", output), parse("locks", output))) == []
    assert len(list(worse(parse("locks", output), []))) == 5
