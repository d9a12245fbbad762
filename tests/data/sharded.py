"""Datasets of several shards, and real sentences of two domains in two languages."""

from collections.abc import Sequence
from dataclasses import dataclass

from set_aside import write_rejected

from burnish.artifacts import DatasetArtifact, Draft
from burnish.data.records import Record, write_kept
from burnish.runtime import Run, Workdir

GRAIN = (
    "The wheat harvest in Kansas is expected to fall by eight percent after a dry spring.",
    "Corn futures rose on Friday as traders weighed reports of frost across the Midwest.",
    "Exporters sold two hundred thousand tonnes of barley to buyers in the Gulf.",
    "The ministry bought wheat and corn at a tender, paying less a tonne than last month.",
    "Soybean acreage will grow this year while farmers plant less corn, a survey found.",
    "Rain delayed the planting of corn and oats in several states, the department said.",
    "Stocks of wheat at the end of the season are put at thirty million tonnes.",
    "A bumper harvest of rice and wheat pushed prices to the lowest level in years.",
    "The cooperative stores corn, sorghum and wheat in its elevators along the river.",
    "Farmers hold back their wheat and wait for higher prices at the export terminals.",
)
FINANCE = (
    "央行宣布下调存款准备金率,以释放长期流动性支持实体经济。",
    "公司上半年营业收入同比增长百分之十二,净利润创下历史新高。",
    "受美联储加息预期影响,人民币汇率昨日小幅回落。",
    "该基金第三季度净值增长率为百分之三,跑赢业绩比较基准。",
    "银行不良贷款率连续三个季度下降,资产质量有所改善。",
    "证监会核准了该企业首次公开发行股票的申请。",
    "股票市场今日大幅下跌,投资者信心受挫,成交量明显放大。",
    "国债收益率走低,市场对货币政策宽松的预期升温。",
    "上市公司应当在年度报告中披露关联交易的金额与定价依据。",
    "保险公司的偿付能力充足率高于监管要求。",
)
PLAIN_CHINESE = (
    "这本小说的情节很吸引人,我一口气读到了深夜。",
    "房间干净整洁,早餐种类也多,服务员很热情。",
    "周末我们带孩子去公园划船,天气好极了。",
    "他学了三年钢琴,终于能弹完整首曲子。",
    "这家面馆的汤头很鲜,就是排队太久。",
    "手机的屏幕很清楚,可惜电池不太耐用。",
    "老师让我们每天写一页日记,练习观察生活。",
    "山上的桃花开了,游客比往年多了一倍。",
    "妈妈做的红烧肉肥而不腻,全家都爱吃。",
    "书的印刷质量一般,有几页字迹模糊。",
)


@dataclass(frozen=True)
class Sharded:
    """Records, and in how many shards."""

    records: tuple[Record, ...]
    num_shards: int


def give_shards(out: Workdir, *, config: Sharded) -> Draft[DatasetArtifact]:
    """Seal records, the first going to the first shard, the second to the second, and so on."""
    for shard in range(config.num_shards):
        write_kept(out, config.records[shard :: config.num_shards], f"part-{shard:05}")
    write_rejected(out, [])
    return Draft(DatasetArtifact, (), "records of a test")


def sharded(run: Run, records: Sequence[Record], num_shards: int) -> DatasetArtifact:
    """Make a dataset of several shards."""
    return run(give_shards, config=Sharded(tuple(records), num_shards))
