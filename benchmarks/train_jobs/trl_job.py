"""TRL's SFTTrainer with its own packing and Liger kernels, as its documentation recommends for speed."""

import tempfile

from step_reading import ALPHA, LEARNING_RATE, RANK, Reading, arguments, documents, quiet
from trainer_steps import callback


def main() -> None:
    """Run the job."""
    quiet()
    given = arguments(__doc__ or "")
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.bfloat16, attn_implementation="sdpa")
    texts = documents(model.config.vocab_size, given.sequence, given.rows * given.steps)
    reading = Reading("trl", given.mode, given.rows * given.sequence)
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, per_device_train_batch_size=given.rows, max_steps=given.steps, max_length=given.sequence,
            learning_rate=LEARNING_RATE[given.mode], lr_scheduler_type="constant", optim="adamw_torch_fused", bf16=True,
            logging_steps=1, save_strategy="no", report_to=[], use_liger_kernel=True, gradient_checkpointing=False,
            packing=False, dataset_kwargs={"skip_prepare_dataset": True}, max_grad_norm=1.0,
        )  # fmt: skip
        lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
        trainer = SFTTrainer(
            model=model, args=config, train_dataset=Dataset.from_dict({"input_ids": texts}),
            processing_class=AutoTokenizer.from_pretrained(given.model), callbacks=[callback(reading)],
            peft_config=lora if given.mode == "lora" else None,
        )  # fmt: skip
        trainer.train()
    reading.settings = {"liger": True, "attention": "sdpa", "sequences": "whole, so that packing changes nothing"}
    reading.write(given.out, ("trl", "liger-kernel", "torch", "transformers", "peft"))


if __name__ == "__main__":
    main()
