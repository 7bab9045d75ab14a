import type { SavedConnection } from "./connection.ts";
import type { SavedNode } from "./store.ts";
import type { SavedTransaction } from "./transaction.ts";
import { toBase64, toBytes } from "./wire.ts";
import type { SavedXenstore } from "./xenstore.ts";

/*
 * What checkpoints and snapshots of version 1 (engine/checkpoint.ts) have of a xenstore: values as text, the ring's bytes as
 * numbers, transactions with the trees they began with.
 */

type OldNode = readonly [string, value: string, string, number, children: readonly OldNode[]];

export interface OldXenstore {
  readonly store: { readonly generation: number; readonly root: OldNode };
  readonly connection: Pick<SavedConnection, "watches" | "nextTransaction"> & {
    readonly transactions: readonly { readonly id: number }[];
  };
  readonly ring: {
    readonly partial: readonly number[];
    readonly queued: readonly number[];
    readonly isBroken: boolean;
  };
}

/** A generation that no node has. */
const NEVER = -2;

/** The same in today's shape. A transaction that was open ends with EAGAIN, so that the guest makes it again. */
export function upgrade(saved: SavedXenstore | OldXenstore): SavedXenstore {
  if (!isOld(saved)) return saved;
  const { store, connection, ring } = saved;
  const root = upgradeNode(store.root);
  return {
    store: { generation: store.generation, root },
    connection: {
      ...connection,
      transactions: connection.transactions.map(({ id }) => ({
        id,
        hasFailed: false,
        accessed: [staleCopy(root)],
      })),
    },
    ring: {
      partial: toBase64(Uint8Array.from(ring.partial)),
      // Where one message ends and the next begins is of no interest to who only sends them.
      queued: ring.queued.length === 0 ? [] : [toBase64(Uint8Array.from(ring.queued))],
      sent: 0,
      isBroken: ring.isBroken,
    },
  };
}

/** Of the root node, as if it had changed since a transaction looked at it. */
function staleCopy([
  ,
  value,
  permissions,
  generation,
  children,
]: SavedNode): SavedTransaction["accessed"][number] {
  const names = children.map(([name]) => name);
  const node = [value, permissions, names, generation] as const;
  return { path: "/", generation: NEVER, permissions, node, isModified: false, event: "none" };
}

function isOld(saved: SavedXenstore | OldXenstore): saved is OldXenstore {
  return typeof saved.ring.partial !== "string";
}

function upgradeNode([name, value, permissions, generation, children]: OldNode): SavedNode {
  return [name, toBase64(toBytes(value)), permissions, generation, children.map(upgradeNode)];
}
