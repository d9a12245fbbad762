"""Unsloth's FastLanguageModel with TRL's trainer, as its documentation shows."""

import tempfile

from step_reading import ALPHA, LEARNING_RATE, RANK, Reading, arguments, documents, quiet


def main() -> None:
    """Run the job."""
    quiet()
    given = arguments(__doc__ or "")
    import torch
    from datasets import Dataset
    from trainer_steps import callback
    from trl import SFTConfig, SFTTrainer
    from unsloth import FastLanguageModel  # before trl and transformers, as it asks

    is_full = given.mode == "full"
    model, tokenizer = FastLanguageModel.from_pretrained(
        str(given.model), max_seq_length=given.sequence, dtype=torch.bfloat16, load_in_4bit=False,
        full_finetuning=is_full,
    )  # fmt: skip
    if not is_full:
        model = FastLanguageModel.get_peft_model(
            model, r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, bias="none", use_gradient_checkpointing=False,
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        )  # fmt: skip
    texts = documents(model.config.vocab_size, given.sequence, given.rows * given.steps)
    reading = Reading("unsloth", given.mode, given.rows * given.sequence)
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, per_device_train_batch_size=given.rows, max_steps=given.steps, max_length=given.sequence,
            learning_rate=LEARNING_RATE[given.mode], lr_scheduler_type="constant", optim="adamw_torch_fused", bf16=True,
            logging_steps=1, save_strategy="no", report_to=[], packing=False, max_grad_norm=1.0,
            dataset_kwargs={"skip_prepare_dataset": True},
        )  # fmt: skip
        trainer = SFTTrainer(
            model=model, args=config, processing_class=tokenizer, callbacks=[callback(reading)],
            train_dataset=Dataset.from_dict({"input_ids": texts, "labels": texts}),
        )  # fmt: skip
        trainer.train()
    reading.settings = {"gradient_checkpointing": False}
    reading.write(given.out, ("unsloth", "trl", "torch", "transformers", "peft"))


if __name__ == "__main__":
    main()
