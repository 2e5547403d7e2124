"""How `idp serve` serves: a server process, its workers, their connections."""
