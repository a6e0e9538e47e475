"""The functions behind `import tf_proxyless`; may import every package, and nothing but tf_proxyless itself imports it."""
