"""Export of models: an ONNX file that needs neither framecast nor torch, a page that forecasts in a browser, a hub."""
