"""Personal data: each kind is found among Chinese and English text, look-alikes stay, and the work is linear."""

import random
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.repairs.pii import KINDS, Drop, Kind, PiiConfig, Pseudonym, Span, find, mask, may_have_pii
from burnish.errors import RecipeError

SALT = "a salt of sixteen or more"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nabc=\n-----END RSA PRIVATE KEY-----"

TRUE: dict[Kind, tuple[str, ...]] = {
    "email": ("ann.lee+x@mail.example.cn", "a@b.co", "first_last@sub.domain.example.org"),
    "url_credentials": ("admin:s3cr3t!", "deploy:p%40ss"),
    "key": (
        "AKIAIOSFODNN7EXAMPLE", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "sk-proj-Ab3dEf6hIj9kLmN0pQrS",
        "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123", "xoxb-123456789012-AbCdEfGhIj", "LTAI5tAbCdEfGhIj1234",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv", JWT, PEM,
    ),
    "cn_id": ("110101197712069380", "11010519491231002X", "11010519491231002x"),
    "card": ("4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "3782 822463 10005",
             "6212345678901232"),
    "iban": ("DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "FR14 2004 1010 0505 0001 3M02 606"),
    "cn_mobile": ("13812345678", "+86 138 1234 5678", "0086-199-1234-5678", "138-1234-5678"),
    "phone": ("(415) 555-2671", "415-555-2671", "+1 (415) 555-2671", "+44 20 7946 0958", "+33 1 70 18 99 00",
              "010-62345678", "0571-87654321-802", "400-820-8820", "+4930901820000"),
    "ip": ("8.8.8.8", "223.5.5.5", "2001:db8::8a2e:370:7334", "2400:3200::1"),
}  # fmt: skip

SENTENCES = (
    "来自{}的访问。",
    "联系{}，谢谢",
    "（{}）",
    "Write to {} for details.",
    "see {}, or not",
    "“{}”",
    "{}",
    "a\n{}\nb",
)


def in_place(value: str, kind: Kind) -> str:
    return f"https://{value}@host.example/x" if kind == "url_credentials" else value


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in TRUE.items() for value in values])
def test_each_kind_is_found_in_chinese_and_in_english(kind: Kind, value: str) -> None:
    for sentence in SENTENCES:
        text = sentence.format(in_place(value, kind))
        assert [(span.kind, text[span.start : span.end]) for span in find(text)] == [(kind, value)], text
    text = f"身份证号{value}"
    assert [text[span.start : span.end] for span in find(text)] == [value] or kind == "url_credentials"


@pytest.mark.parametrize(
    "text",
    [
        "110101197712069381", "990101197712069380", "110101197713069380",  # check digit, province, month
        "4111111111111112", "1234567812345670", "411111111111111",  # Luhn, no network, a digit short
        "DE89370400440532013001", "ZZ89370400440532013000", "DE8937040044053201300",
        "128138123456789", "0.13812345678", "12812345678", "17179869184 bytes", "id_13812345678", "13812345678.5",
        "version 1.2.3.4", "v1.2.3.4", "版本 10.2.3.4", "linux-2.6.32.1", "Firefox/91.0.4472.124", "1.3.6.1.4.1.311",
        "256.1.1.1", "1.2.3.04", "127.0.0.1", "192.168.1.10", "::1",
        "std::string a::b", "12:34:56", "00:1a:2b:3c:4d:5e", "fe80::1", "dead::beef",
        "@decorator.name", "user@localhost", "a@b", "npm i @scope/pkg.js", "git@", "foo@1.2.3",
        "https://host.example/a:b", "http://user:password@host.example/",
        "api_key = os.environ['API_KEY_NAME_12']", "token: your_access_token_here_12", "secret = getSecretFromVault1(",
        "password: correct-horse-battery", "sk-learn-something-very-long-indeed", "-----BEGIN PUBLIC KEY-----",
        "2024-11-22 10:11:12.123", "3.141592653589793", "0x7ffee4c3b8a01234", "[+3.140000]", "(-33554432, +33554432)", "-2147483648 到 +2147483647", "echo +192.168.0.100",
        "1,234,567,890", "ISBN 978-3-16-148410-0", "550e8400-e29b-41d4-a716-446655440000", "1609459200000",
    ],
)  # fmt: skip
def test_look_alikes_stay(text: str) -> None:
    for around in ("{}", "a {} b", "参见{}。"):
        assert find(around.format(text)) == [], around


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('api_key="9f86d081884c7d659a2feaa0c55ad015"', "9f86d081884c7d659a2feaa0c55ad015"),
        ("SECRET_KEY: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("密码：Xk29dLq81mZp07Qw，请保密", "Xk29dLq81mZp07Qw"),
        ("auth-token => 'q8Z1k3Yp0Lr7Tn5Wc2'", "q8Z1k3Yp0Lr7Tn5Wc2"),
    ],
)
def test_random_values_called_a_secret_go(text: str, secret: str) -> None:
    assert [text[span.start : span.end] for span in find(text)] == [secret]


@pytest.mark.parametrize("heading", ["9.16.2.2. SQL/JSON Path", "6.2.4.4. 基础 MTA 操作", "  34.1.1.1 Keywords"])
def test_numbered_headings_stay(heading: str) -> None:
    assert find(f"text\n\n{heading}\n\ntext") == []


@pytest.mark.parametrize("text", ["a host, 9.16.2.2, is down", "hosts:\n9.9.9.99 Quad\n", "1.2.3.99 服务器"])
def test_addresses_at_a_lines_start_go(text: str) -> None:
    assert [span.kind for span in find(text)] == ["ip"]


def test_private_addresses_go_where_asked_for() -> None:
    config = PiiConfig(with_private_ips=True)
    text = "10.0.0.1 via fe80::1 and ::1 on std::cout"
    assert mask(text, config).text == "<IP> via <IP> and <IP> on std::cout"


def test_of_what_overlaps_the_leftmost_and_longest_stays() -> None:
    assert [(s.kind, s.start, s.end) for s in find("https://bob:x@example.com")] == [("url_credentials", 8, 13)]
    assert [s.kind for s in find("+86 13812345678")] == ["cn_mobile"]  # the phone pattern covers the same place
    both = "620102199001014035"  # a Luhn number of UnionPay's range, and an identity number of Gansu
    assert [s.kind for s in find(both)] in (["cn_id"], ["card"], [])


def test_the_three_replacements() -> None:
    text = "邮箱 a@b.com，再写一次 a@b.com，另一个 c@d.com。"
    assert mask(text, PiiConfig()).text == "邮箱 <EMAIL>，再写一次 <EMAIL>，另一个 <EMAIL>。"
    assert mask(text, PiiConfig(replacement=Drop())).text == "邮箱 ，再写一次 ，另一个 。"
    named = mask(text, PiiConfig(replacement=Pseudonym(SALT)))
    first, second, third = re.findall(r"<EMAIL_[0-9a-f]{12}>", named.text)
    assert first == second != third
    assert named.counts == {"email": 3}
    assert named.spans[0] == Span("email", 3, 10)
    assert mask(text, PiiConfig(replacement=Pseudonym(SALT + "!"))).text != named.text


def test_only_the_asked_kinds_go() -> None:
    text = "a@b.com 13812345678"
    assert mask(text, PiiConfig(kinds=("cn_mobile",))).text == "a@b.com <CN_MOBILE>"


@pytest.mark.parametrize("kinds", [(), ("email", "email"), ("name",)])
def test_wrong_kinds_are_refused(kinds: tuple[Kind, ...]) -> None:
    with pytest.raises(RecipeError, match="kinds is"):
        PiiConfig(kinds=kinds)


def test_a_short_salt_is_refused() -> None:
    with pytest.raises(RecipeError, match="salt has 5 characters"):
        Pseudonym("short")


_values = [in_place(value, kind) for kind, values in TRUE.items() for value in values]
_noise = st.text(alphabet=string.ascii_letters + string.digits + " .:@-+()/_=中文，。\n", max_size=25)
_texts = st.lists(st.sampled_from(_values) | _noise | st.text(max_size=8), max_size=8).map("".join)


@given(_texts, st.booleans())
def test_nothing_is_found_without_a_sign_and_spans_are_in_order(text: str, with_private: bool) -> None:
    spans = find(text, PiiConfig(with_private_ips=with_private))
    assert may_have_pii(text) or not spans
    ends = [0] + [end for span in spans for end in (span.start, span.end)]
    assert ends == sorted(ends)
    assert all(span.start < span.end for span in spans)


@given(_texts)
def test_all_but_the_spans_stays(text: str) -> None:
    masked = mask(text, PiiConfig())
    starts = [0, *(span.end for span in masked.spans)]
    ends = [*(span.start for span in masked.spans), len(text)]
    kept = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    marks = [*(f"<{span.kind.upper()}>" for span in masked.spans), ""]
    assert masked.text == "".join(piece + mark for piece, mark in zip(kept, marks, strict=True))
    assert mask(text, PiiConfig(replacement=Drop())).text == "".join(kept)
    assert sum(masked.counts.values()) == len(masked.spans)


@given(st.sampled_from([(k, v) for k, values in TRUE.items() for v in values]), st.text("中文字，。 \n", max_size=10))
def test_masking_is_final_in_prose(pair: tuple[Kind, str], words: str) -> None:
    text = f"{words}。{in_place(pair[1], pair[0])}，{words}"
    masked = mask(text, PiiConfig())
    assert masked.counts == {pair[0]: 1}
    assert mask(masked.text, PiiConfig()).spans == ()


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_repeats_take_linear_time(kind: Kind) -> None:
    rng = random.Random(0)
    units = ("a@", "a.a@a.", "1-1 1(", "+1 2", "4111 ", "1.1.", "::1:", "a:", "https://a:", "-----BEGIN PRIVATE KEY-----", "eyJa1",
             "DE89 3704 ", "token=", "0" * 40, "A1" * 30, "tel ", "(415) ", "sk-" + "a" * 30 + " ", "-" * 60)  # fmt: skip
    config = PiiConfig(kinds=(kind,), with_private_ips=True)
    for unit in units:
        find(unit * (60_000 // len(unit)), config)  # quadratic work on any would pass the time limit of this test
    find("".join(rng.choice(units) for _ in range(5_000)), config)
