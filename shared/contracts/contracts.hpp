// Every message and resource of docs/protocols.md: include this, or the part you need.
#pragma once
