// The precompiled header hangs on this source file.
