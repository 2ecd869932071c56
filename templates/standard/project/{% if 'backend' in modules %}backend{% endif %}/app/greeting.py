"""What the backend is about; replace it."""

LONGEST_NAME = 100


def greet(name: str) -> str:
    name = name.strip()
    if len(name) > LONGEST_NAME:
        raise ValueError(f"name: at most {LONGEST_NAME} characters")
    return f"Hello, {name}!" if name else "Hello!"
