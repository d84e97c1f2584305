"""What a person drills now and then: more cases than the tests have time for."""
