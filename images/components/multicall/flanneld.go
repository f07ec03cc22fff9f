package main

func runFlanneld() int { return 1 }
