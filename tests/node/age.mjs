// An independent implementation of age, for tests: `open IDENTITY FILE` writes the plaintext, `seal RECIPIENT FILE`
// an age file, `generate` prints an identity and its recipient. Anything it refuses ends it with a message.
import { readFileSync } from "node:fs";
import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from "age-encryption";

const [what, key, file] = process.argv.slice(2);
if (what === "generate") {
  const identity = await generateHybridIdentity();
  console.log(`${identity}\n${await identityToRecipient(identity)}`);
} else if (what === "open") {
  const decrypter = new Decrypter();
  decrypter.addIdentity(key);
  process.stdout.write(await decrypter.decrypt(new Uint8Array(readFileSync(file))));
} else if (what === "seal") {
  const encrypter = new Encrypter();
  encrypter.addRecipient(key);
  process.stdout.write(await encrypter.encrypt(new Uint8Array(readFileSync(file))));
} else {
  throw new Error("open, seal or generate");
}
