"""moto's server, judging bucket policies by those statements alone that it can judge.

moto looks at no Condition, so "deny what comes without If-None-Match" would deny everything. A statement with a
condition is stored and handed out like any other, and enforced by no one.
"""

import json

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket
from moto.server import main


def judge_what_is_understood(bucket, action, resource):
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    policy = json.loads(bucket.policy)
    statements = policy["Statement"]
    statements = statements if isinstance(statements, list) else [statements]
    understood = [statement for statement in statements if not statement.get("Condition")]
    if not understood:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps({**policy, "Statement": understood})).is_action_permitted(action, resource)


FakeBucket.get_permission = judge_what_is_understood

if __name__ == "__main__":
    main()
