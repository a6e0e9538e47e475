"""From networks to what phones and processors run: TFLite models, and their latency where Google's tool is not at hand."""
