/** Something stored is not what was written: the checkpoint it belongs to must not be run. */
export class DamagedCheckpoint extends Error {
  override readonly name = "DamagedCheckpoint";
}
