"""Texts full of personal data, of what looks like it, and of what parts it."""

from hypothesis import strategies as st

_DATA = (
    "13800138000", "138-0013-8000", "+86 138 0013 8000", "11010519491231002X", "4111 1111 1111 1111", "6222 0212 3456 7890", "DE89370400440532013000",
    "GB82 WEST 1234 5698 7654 32", "8.8.8.8", "10.1.2.3", "2001:4860:4860::8888", "fe80::1", "::1", "ann@example.com", "li.lei@163.com", "(555) 234-5678",
    "010-62345678", "400-810-8888", "+44 20 7946 0958", "AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefghijABCDEFGHIJ012345", "https://me:s3cretpw@host.cn/x",
    "q8Zr7Lk2Pv9Xw4Tn", "-----BEGIN PRIVATE KEY-----\nMIIBVgIBADAN\n-----END PRIVATE KEY-----", "sk-abcDEF0123456789abcDEF0123", "62220212345678901",
)  # fmt: skip
_DECOYS = (
    "1,234,567.89", "2026-11-22 04:30:00", "1.2.3", "1.2.3.4.5", "3.14159265", "ISBN 978-7-111-54742-6", "std::vector", "a::b", "@media", "v1.2.3.4",
    "version 1.2.3.4", "internationalisation", "aaaaaaaaaaaaaaaaaaaa", "00:1a:2b:3c:4d:5e", "PRIVATE KEY", "17179869184", "__init__",
)  # fmt: skip
_BETWEEN = (
    " ", ", ", "\n", "\n\n", "：", "。", "password: ", "密码：", "api_key = ", "secret:\n", "token:\n\n", "电话：", "tel ", "手机", "version\n", "版本\n\n", "身份证号",
    "kernel ", "(", ")", ".", "-", "+", "x", "中", "é", "1", "mail ", "IP ",
)  # fmt: skip

personal = st.lists(st.sampled_from((*_DATA, *_DECOYS, *_BETWEEN, *_BETWEEN)), max_size=14).map("".join)
