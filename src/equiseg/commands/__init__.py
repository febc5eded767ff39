"""One public function a verb: it runs, then draws and prints."""
