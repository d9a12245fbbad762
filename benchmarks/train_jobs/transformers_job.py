"""Plain transformers (and PEFT): SDPA, eager, fused AdamW, micro-batches of whole sequences."""

from step_reading import ALPHA, LEARNING_RATE, RANK, Clock, Reading, arguments, documents, quiet


def main() -> None:
    """Run the job."""
    quiet()
    given = arguments(__doc__ or "")
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if given.precision == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=dtype, attn_implementation="sdpa").to(device)
    model.train()
    if given.mode == "lora":
        import peft

        model = peft.get_peft_model(
            model,
            peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE[given.mode], weight_decay=0.0, fused=device == "cuda")
    texts = documents(model.config.vocab_size, given.sequence, given.rows * given.steps)
    reading = Reading("transformers", given.mode, given.rows * given.sequence)
    clock = Clock()
    for step in range(given.steps):
        ids = torch.tensor(texts[step * given.rows : (step + 1) * given.rows], device=device)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        reading.losses.append(loss.item())
        reading.grad_norms.append(norm.item())
        reading.step_s.append(clock.lap_s())
    reading.settings = {"attention": "sdpa", "compiled": False}
    reading.write(given.out, ("torch", "transformers", "peft"))


if __name__ == "__main__":
    main()
