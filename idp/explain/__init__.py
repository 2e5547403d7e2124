"""Why a token says what it says, and why a request was refused."""
