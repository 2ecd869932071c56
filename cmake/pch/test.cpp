// The precompiled header of the tests needs one source file to hang on.
