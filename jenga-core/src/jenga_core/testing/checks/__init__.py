"""The checks of the conformance kit, by the family of components they are about."""
